"""The settings of the process: from a command line, the environment and a file to one immutable value.

Only cli and app read them; everything below gets values. `fields` has every setting once, `model` all of them
together, `tritonserver` what becomes of the flags that only tritonserver has; `arguments`, `environment` and `file`
read the three places where settings may stand, and `sources` puts them together.
"""

from naiad.settings.given import BadSettings
from naiad.settings.model import Settings

__all__ = ["BadSettings", "Settings"]
