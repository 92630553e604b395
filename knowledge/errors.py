"""Errors of the knowledge base.

KnowledgeError
├── SourceError      a source cannot be read at all (missing folder, unknown format)
├── EmptyKnowledge   nothing has been published yet
├── VersionError     a version is missing, damaged, or being written by another process
├── EncoderError     the encoder is missing or is not the one expected
├── RerankerError    a product reranker is incomplete, or does not earn promotion
├── RecommenderError a recommender's folder is incomplete, damaged or of another program
└── PropensityError  a propensity model is missing, damaged, or does not earn promotion
"""


class KnowledgeError(Exception):
    """Root of this package's errors; the message says what repairs it."""


class SourceError(KnowledgeError):
    """A source path is missing or nothing in it can be read."""


class EmptyKnowledge(KnowledgeError):
    """No version has been published in this home."""


class VersionError(KnowledgeError):
    """A version does not exist, is incomplete, or is locked by another process."""


class EncoderError(KnowledgeError):
    """The encoder's weights are missing or differ from the expected ones."""


class RerankerError(KnowledgeError):
    """A product reranker's folder cannot be used, or must not be promoted."""


class RecommenderError(KnowledgeError):
    """A recommender's folder cannot be used; train it anew."""


class PropensityError(KnowledgeError):
    """A propensity model cannot be loaded, or must not be promoted."""
