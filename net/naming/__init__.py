"""Which names exist in a world, and the responder that answers for them."""
