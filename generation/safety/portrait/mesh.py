"""A face's 468 points in three dimensions: Face Mesh (Kartynnik et al. 2019, https://arxiv.org/abs/1907.06724).

Which point is which: `canonical_face_model_uv_visualization.png` of MediaPipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.safety.portrait import networks
from generation.safety.portrait.faces import Face

NAME, SIDE = "face_landmark", 192
POINTS, PRESENCE = "conv2d_20", "conv2d_30"
MARGIN = 1.5
"""The network looks at a square so many times the face's box, as it was trained."""
DEPTH = 1.25
"""The network's depth is too shallow: so many times deeper, heads turned by known angles measure those angles."""

TOP, CHIN = 10, 152
ACROSS = ((33, 263), (234, 454), (61, 291))
"""Pairs from the person's right to their left: outer corners of the eyes, ears, corners of the mouth."""
LEFT_EDGE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
)  # fmt: skip
RIGHT_EDGE = (
    10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152,
)  # fmt: skip
MIDLINE = (152, 17, 0, 164, 2, 1, 4, 5, 195, 197, 6, 168, 8, 9, 151, 10)
"""From the chin up to the hairline."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head is turned, in degrees. Yaw is positive towards the picture's right, pitch downwards, roll
    clockwise.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Mesh:
    """`points`: 468 × 3, in pixels of the picture, depth away from the camera. `presence`: 0 to 1, of a face."""

    points: NDArray[np.float64]
    presence: float

    @property
    def pose(self) -> Pose:
        """By two axes through the mesh: across the face, and from the hairline to the chin."""
        right, left = zip(*ACROSS, strict=True)
        across = self.points[list(left)].sum(axis=0) - self.points[list(right)].sum(axis=0)
        down = self.points[CHIN] - self.points[TOP]
        roll = atan2(across[1], across[0])
        # The chin's way is read upright, or a tilted head would seem to nod.
        upright = hypot(down[0], down[1])
        return Pose(
            yaw=degrees(atan2(across[2], hypot(across[0], across[1]))),
            pitch=degrees(atan2(down[2], upright)),
            roll=degrees(roll),
        )

    def half(self, edge: tuple[int, ...]) -> NDArray[np.int32]:
        """The outline of the left or right half of the face, in whole pixels."""
        return np.rint(self.points[[*edge, *MIDLINE[1:-1]], :2]).astype(np.int32)

    @property
    def outline(self) -> NDArray[np.float64]:
        """The face's edge, all around."""
        return self.points[[*LEFT_EDGE, *RIGHT_EDGE[-2:0:-1]], :2]


def fit(pixels: NDArray[np.uint8], face: Face) -> Mesh:
    """The mesh over a face that was found in an RGB picture (H × W × 3)."""
    (right_x, right_y), (left_x, left_y) = face.eyes
    angle = atan2(left_y - right_y, left_x - right_x)
    scale = SIDE / (MARGIN * max(face.width, face.height))
    middle = (face.left + face.width / 2, face.top + face.height / 2)
    turn = cv2.getRotationMatrix2D(middle, degrees(angle), scale).astype(np.float64)
    turn[:, 2] += SIDE / 2 - np.array(middle)
    square = cv2.warpAffine(pixels, turn, (SIDE, SIDE), flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    points, presence = networks.run(NAME, square, (POINTS, PRESENCE))
    there: NDArray[np.float64] = points.reshape(468, 3).astype(np.float64)
    back = cv2.invertAffineTransform(turn)
    there[:, :2] = there[:, :2] @ back[:, :2].T + back[:, 2]
    there[:, 2] *= DEPTH / scale
    return Mesh(there, float(1 / (1 + np.exp(-np.clip(presence[0], -80, 80)))))
