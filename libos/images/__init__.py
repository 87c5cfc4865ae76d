"""Images: file trees in layers, from an OCI layout or a tar, unpacked once and never written again.

A reference (`reference`) names a layout or a tar. `layout` reads which layers it has, each blob checked
against its digest (`streams`); `layer` applies one tar to a tree within `bounds`; `unpacking` makes the tree
of all layers in the `store`, where worlds mount it. `export` writes a layout of what a run changed. Nothing
here asks a network. Thin, so that a manifest without an image costs nothing.

Specification: OCI image layout, image manifest, image configuration and layer file system changeset, 1.1.
"""
