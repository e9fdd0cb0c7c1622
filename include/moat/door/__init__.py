"""The door: a server in front of the retriever, for applications that are not written in Python or hold no keys.

It decides nothing about access: who asks is verified, and then the retriever answers, as it does in the library.
"""
