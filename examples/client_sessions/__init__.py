"""The visits of each client of a web server: sessions found in its access log."""
