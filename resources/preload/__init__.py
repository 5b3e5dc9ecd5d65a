"""The libraries that steps work with, imported once: a step is then forked from a process that has them all.

What belongs here: modules that import and do nothing else; :mod:`dagster_project.executors` names the one that suits a
job, :mod:`assets.isolation` the one for work in a process of its own. What does not: a connection, a file, a thread. A
fork copies memory and file descriptors but only one thread, so that whoever waits for another thread afterwards would
wait for ever.
"""

import atexit
import os
import sys

# The jemalloc that pyarrow brings starts a thread as it is loaded; without it jemalloc frees memory at the next call.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")

# The server ends with its run. To take down all that it has imported would take a second and pages of warnings.
if "multiprocessing.forkserver" in " ".join(sys.orig_argv):
    atexit.register(os._exit, 0)
