"""Moat: a Weaviate knowledge base kept in step with a company's documents and warehouse rows."""
