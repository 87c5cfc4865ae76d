"""Datagrams of an app to what it was granted, and the answers: flows, and refusals that come from outside."""
