"""What jobs cost the platform itself: GPU-seconds by the price book, and how much video they come to."""
