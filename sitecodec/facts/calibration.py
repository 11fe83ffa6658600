"""Numbers that hold for one metric only: SSIMULACRA2, on its scale where 100 is the same picture.

To hold files to another metric: let `metrics.against` judge by it, give it a name here, and measure
the numbers in this module anew, each with that metric. The first part says how good a file has to
be. The second part only foretells scores, so that searches begin near their end: it changes how
long a build takes, and hardly what it ships.

Three places are about SSIMULACRA2 itself, and stay as they are: libaom is told to aim at it
(`encoding/images.py`), latents are refined for it (`codecs/refine.py`), and models were trained for
it (`training/`).
"""

from __future__ import annotations

METRIC = "ssimulacra2"
"""The metric of all scores: part of the store keys, so that another one's results are not taken for
its own."""

# --- How good a file has to be ----------------------------------------------------------------

QUALITIES = {"low": 50.0, "medium": 65.0, "high": 75.0}
"""Names for the setting `quality`, with the scores they mean."""

QUALITY = QUALITIES["medium"]
"""The default of `quality`, chosen by looking at twenty pictures of manuals: docs/choosing.md."""

MIN_TILE_SCORE = 45.0
"""The default floor for every 256x256 part. Parts that score less show damage beside clean ones."""

GRAPHICS_SCORE = 85.0
"""The lowest score of files of flat graphics and screenshots, unless they are lossless.

Most of such a picture is blank, and blank scores high: at 60 small letters were smeared beyond
reading. Near `ALIKE` they are clean.
"""

GRAPHICS_TILE = 75.0
"""The lowest score of every part of them, because a mean tells little about a letter."""

ALIKE = 90.0
"""What people cannot tell from the original: "visually lossless" in the metric's own words."""

UNHARMED = 95.0
"""The score of a picture whose alpha a browser misreads without anybody seeing it."""

JUDGE_SLACK = 0.05
"""How much worse a payload may be than the file it replaces to the second judge, ColorVideoVDP
(`metrics.judged_against`), which no model is trained for. At 1, three of four people prefer the
other file; at 0.05, 51 of 100 do."""

JUDGE_POINT = 0.03
"""What a point of score is on the judge's scale, on photographs around the default quality."""

GENERATIVE_TILE = 40.0
"""The lowest score of a part that a generative decoder made: its faults look authentic."""

STRICTER = 10.0
"""How far above the setting `min_tile_score` the floor for generative decoders is at least."""

SKIN_SCORE = 60.0
"""The score of a part with the colours of skin; Kodak's portraits reach it in AVIF files of 70."""

CHECK_SCORE = 30.0
"""The score that `sitecodec check` asks of a picture as a page shows it, scaled and all."""

CHECK_TILE = 0.0
"""The same of its worst part."""

# --- What scores to expect --------------------------------------------------------------------
# Mean scores on Kodak's pictures for quality 0, 10, ... 100.

AVIF_SCORES = (-33.4, -6.3, 20.4, 39.2, 54.4, 67.0, 75.3, 80.2, 84.4, 88.7, 92.8)
WEBP_SCORES = (-29.8, 25.9, 39.9, 48.9, 56.2, 61.8, 65.8, 69.6, 75.8, 84.7, 91.0)
JPEG_SCORES = (-64.2, -11.7, 30.5, 47.3, 56.6, 62.5, 66.4, 71.7, 77.5, 84.5, 93.2)
PAYLOAD_SCORES = (7.9, 20.5, 31.0, 40.3, 48.6, 55.6, 61.4, 65.5, 68.6, 70.7, 72.3)
"""Of the model web-1."""

GRAPHICS_OFFSETS = (5.0, 3.0)
"""What graphics score above such pictures, and how much more than `quick_gap` their final files
score above quick ones."""

SIZE_SLOPE = 0.027
"""How fast the logarithm of an AVIF's size rises with the score."""

SLOPES = (0.01, 0.1)
"""The least and the most that it has been seen to rise."""

APART = 0.5
"""Scores nearer to each other than this say nothing of a slope."""

EASY, EASIER = 2.0, 0.5
"""A picture whose AVIFs score E points more than typical ones has payloads that score (E - EASY) *
EASIER more than typical ones. On photographs that is right to within 3 points; without it, to 7."""

REFINING_GAIN = 6.0
"""Points that refining brings at the same quality."""

HOPELESS = 1.0
"""What a quick trial at quality 100 may lack: there the speed tells little."""

NEAR = 1.5
"""So little above the target is not worth another trial of half a minute."""

FAR = 4.0
"""So much above the target is worth two quick trials more."""

TEXT_POINTS = 10.0
"""A file that scores so many points more has letters that are half as worn (`trials.TEXT`)."""

FAULT = 5.0
"""What invented text or skin lacks, as points: a guess at how much quality mends it."""

BEYOND_SAVING = 20.0
"""A worst part that lacks more than this, no higher quality saves: text, for one."""


def alpha_slack(target: float) -> int:
    """The squared error at which a bit less of alpha is worth it in payloads of that score.

    The error of an edge is about ten times that. At 100 there is none.
    """
    return round((100 - target) / 4)


def quick_gap(score: float) -> float:
    """The score of a final AVIF minus that of a quick trial: on photographs, to within 1.5."""
    return min(max(0.075 * (95 - score), 0.3), 6.5)


def payload_quality(target: float) -> float:
    """The codec's quality, 0 to 100, at which payloads of typical photographs reach a score."""
    return min(100.0, max(0.0, 1.2 * target - 17))
