"""Quality of finished clips: measured as their frames pass, and judged.

`generation.outputs.quality.meter.Meter` measures; it is not imported here, for it brings numpy and OpenCV with it,
which only those need who look at pixels.
"""

from generation.outputs.quality.figures import Look, Measured
from generation.outputs.quality.judgement import PROBLEMS, Judgement, Problem, judge, sentence_of, verdict_on
from generation.outputs.quality.motion import asks_for_motion

__all__ = [
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
