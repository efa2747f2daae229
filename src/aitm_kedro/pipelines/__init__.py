"""The stages: wiring of library code into Kedro pipelines, one package a stage."""
