"""The Flask server: the device API, the console, the only transaction and the only users."""
