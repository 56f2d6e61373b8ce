"""Live analysis of a web server's log: the main example of streamproc."""
