"""The child that tries the steps: `python -I -S libos/doctor/__main__.py`; one JSON object a step on
stdout."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from libos.doctor.steps import main

main()
