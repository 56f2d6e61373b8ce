"""The hashtags that are used most, over the last ten minutes, each minute."""
