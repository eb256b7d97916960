"""The asset library: pictures, clips and sounds of a workspace, inspected before they are kept."""
