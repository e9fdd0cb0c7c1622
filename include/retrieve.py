"""What an application asks through: one door, which gives what the asker may read at this moment.

    from include.retrieve import Retriever

The same names come from the package: `from moat import Retriever`.
"""

from moat.async_retrieve import AsyncRetriever
from moat.errors import AskedWrongly
from moat.retrieve import Bearer, Count, Hit, NewerVersion, Range, Retriever, SearchResult, Service, Share, Shares

__all__ = [
    "AskedWrongly",
    "AsyncRetriever",
    "Bearer",
    "Count",
    "Hit",
    "NewerVersion",
    "Range",
    "Retriever",
    "SearchResult",
    "Service",
    "Share",
    "Shares",
]
