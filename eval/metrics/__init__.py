"""Pure functions of a Recording, one file a family. Nothing in here reads a file, a clock or a model."""
