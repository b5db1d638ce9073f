"""Starting a whole installation on this machine: the Procfile's processes and, without Slack, the local workspace."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
