"""The knowledge base: load, chunk, embed, store, retrieve, and publish versions of passages."""
