"""Operations on resources. The magics and the panel call the same functions, which know neither of them."""
