"""Quality of finished clips: measured as their frames pass, and judged.

What looks at pixels is not imported here, for it brings numpy and OpenCV with it: `meter.Meter`, which measures,
`files.measure` and `comparison.compare`. `check.Checker` is the finish stage's.
"""

from generation.outputs.quality.figures import FIGURE_NAMES, Look, Measured
from generation.outputs.quality.judgement import PROBLEMS, Judgement, Problem, judge, sentence_of, verdict_on
from generation.outputs.quality.motion import asks_for_motion

__all__ = [
    "FIGURE_NAMES",
    "PROBLEMS",
    "Judgement",
    "Look",
    "Measured",
    "Problem",
    "asks_for_motion",
    "judge",
    "sentence_of",
    "verdict_on",
]
