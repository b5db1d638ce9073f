"""The formats that datasets come in: one reader a format, found from the content of the first records.

base         what every format has, and how untrusted values become messages
chat         openai-chat, rft
pairs        prompt-completion
alpaca       instruction, input, output
sharegpt     conversations of turns; `speakers` knows their names and their calls of tools
preference   openai-preference, preference
kto          an answer and its label
plain        text
table        any other table, by a ColumnMapping; `columns` guesses it
cells        tables of text cells, in which lists stand as JSON
detection    `detect`
"""

from workers.dataprep.formats.base import DatasetFormat
from workers.dataprep.formats.detection import FORMATS, Detected, detect, lines
from workers.dataprep.formats.table import ColumnMapping, Table
from workers.dataprep.limits import UnreadableDataset

__all__ = ["FORMATS", "ColumnMapping", "DatasetFormat", "Detected", "Table", "UnreadableDataset", "detect", "lines"]
