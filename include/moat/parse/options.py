"""What a source's parser takes and leaves out."""

from moat.declarations import declared


@declared
class Parsing:
    """What is taken of a document beside its text. What is not is left out, counted and shown.

    Attributes:
        notes: Speaker notes of slides, and notes of a PDF.
        comments: Comments of people in the margin of a document, slide or sheet.
        quoted_replies: In a mail, the text of the mail that it answers.
        links: Targets of links that lead out of the document, after their text.

    Example:
        Reviewers' comments are knowledge here, speaker notes are not:

            Parsing(notes=False, comments=True)
    """

    notes: bool = True
    comments: bool = False
    quoted_replies: bool = True
    links: bool = True

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; every field is checked by its type."""
        return []
