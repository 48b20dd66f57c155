"""What others bring: found by a reference to their code, or by a name that their package has announced."""
