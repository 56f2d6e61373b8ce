"""Routes of a web site with far more or fewer requests in a minute than in those of the hour before."""
