"""Models with random weights in their true sizes, made where they are used: no file is read.

What such a model makes is noise, in the time that the real one takes. `sizes` are the published configurations of
every part, text encoders too, and tiny ones beside them; `pipelines` puts parts together; `engines` puts the
platform's own engines around them: these encode, denoise, decode and hand over as they do with real weights.
"""
