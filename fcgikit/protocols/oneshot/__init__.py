"""One request per connection: all that SCGI and uwsgi have in common, for both sides.

Both put the CGI variables into one block, then CONTENT_LENGTH bytes of body; the answer is a
CGI response, and the connection ends with it. They differ in how the block is written and in
the first line of the answer: a :class:`Codec` knows that and nothing else.

The request always has the id 1. A peer's half-close counts as an abort: it is how every front
end measured says that its client is gone. The answer can still be sent.
"""

from __future__ import annotations

from .app_side import AppSide
from .codec import Codec, decimal, refusal, too_many_variables

__all__ = ["AppSide", "Codec", "decimal", "refusal", "too_many_variables"]
