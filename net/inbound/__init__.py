"""The ways in: ports of the app that are reached from outside."""
