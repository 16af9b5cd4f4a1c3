"""The modules that `make proto` compiles from protos/: never edited by hand."""
