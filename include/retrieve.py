"""What an application asks through: one door, which gives what the asker may read at this moment.

    from include.retrieve import Retriever

The same names come from the package: `from moat import Retriever`.
"""

from moat.retrieve import Bearer, Count, Hit, NewerVersion, Retriever, SearchResult, Service, Share, Shares

__all__ = ["Bearer", "Count", "Hit", "NewerVersion", "Retriever", "SearchResult", "Service", "Share", "Shares"]
