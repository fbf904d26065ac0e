"""What a score is: values, rows of classes, and the signature of the rule that made them."""
