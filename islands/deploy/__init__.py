"""Where the driver of a run lives: a process of its own, or a job of a cluster; and what starts those."""
