"""Settings: what can be set, and how it is found.

Highest first: flags of the command line, the environment (``PANNIER_LIMITS__MAX_DEPTH=50``: the section, two
underscores, the key), the TOML file, the fallbacks of the command, the defaults. Keys take hyphens or underscores at
every level; names of volumes keep their spelling.
"""

from pannier.config.addresses import Address
from pannier.config.settings import Settings, VolumeSettings, load

__all__ = ["Address", "Settings", "VolumeSettings", "load"]
