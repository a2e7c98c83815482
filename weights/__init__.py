"""What the models are made from: the manifest, nano, and how nano is made. Runs from the checkout, is in no wheel."""
