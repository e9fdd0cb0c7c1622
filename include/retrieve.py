"""What an application asks through: one door, which gives what the asker may read at this moment.

    from include.retrieve import Retriever

The same names come from the package: `from moat import Retriever`.
"""

from moat.retrieve import Answer, Bearer, Count, Hit, Retriever, Service, Share, Shares

__all__ = ["Answer", "Bearer", "Count", "Hit", "Retriever", "Service", "Share", "Shares"]
