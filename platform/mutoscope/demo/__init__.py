"""`make demo`: one real picture through the whole platform, over HTTP as any client would."""
