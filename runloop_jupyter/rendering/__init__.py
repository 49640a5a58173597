"""How what the magics hand back looks: as plain text, as HTML, and as data frames.

`Listing` is the table of all kinds of things, `Details` the card of one, `Done` the sentence about what was done; all
three are the things themselves too. What comes from the wire is escaped in HTML and without control characters in text.
"""

from ..text.quoting import printable
from .card import Details, Done
from .devboxes import Connected, Overview, connection_lines, devbox_details, devbox_listing
from .frames import data_frame
from .states import state_text
from .table import Columns, Listing
from .text import ago, aligned, moment, pairs

__all__ = [
    "Columns",
    "Connected",
    "Details",
    "Done",
    "Listing",
    "Overview",
    "ago",
    "aligned",
    "connection_lines",
    "data_frame",
    "devbox_details",
    "devbox_listing",
    "moment",
    "pairs",
    "printable",
    "state_text",
]
