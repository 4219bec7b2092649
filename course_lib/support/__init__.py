"""What everything else stands on: errors, files, downloads, the machine, processes, the notebooks as files."""
