"""Renders the results of the magics as plain text, as HTML and as data frames.

`Listing` is a table of any resources, `Details` the card of one, and `Done` a sentence about an action; all three also
behave like the objects that they show. Text from the API is escaped in HTML, and has no control characters in text.
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
