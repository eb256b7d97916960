"""The portrait check: whether a picture shows one face, large, straight and evenly lit enough to be animated."""
