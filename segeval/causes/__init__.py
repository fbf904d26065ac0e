"""Why a score will be 0, undefined or not what was meant: one module a task."""
