"""libos gives one program its own view of the world."""
