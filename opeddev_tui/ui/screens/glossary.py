"""The words of the screens, each in a sentence, for who presses `?`."""

WORDS: tuple[tuple[str, str], ...] = (
    ("^p", "Hold Ctrl and press p; so with every key that is written with ^."),
    ("step", "One round of training: the base set and all batches so far, from the previous step's checkpoint."),
    ("batch", "The rows that a step adds: batch_100_01, batch_100_02 …"),
    ("epoch", "One pass over the rows of a step. Epoch 0 is the state before it."),
    ("optimizer step", "One change of the weights, after one batch of the Trainer."),
    ("hold-out", "Rows that are never trained on. Every epoch is scored on the same ones."),
    ("train loss", "How surprised the model is by the completions it trains on, in nats per token. Lower is better."),
    (
        "hold-out loss",
        "The same on the hold-out. If it rises while the train loss falls, the model learns by heart.",
    ),
    ("exact, ±1", "Share of hold-out rows whose grade is right, or off by at most one."),
    ("head", "A small grader on a model's hidden states, fitted on the graded rows in a second: no weight changes."),
    ("grade tokens", "The model's own grade: how likely it finds each grade as the next token."),
    ("n-grams", "A grader on short pieces of text that needs no language model: a cheap way to beat."),
    ("out of fold", "Of a head: each row graded by a fit that has not seen it."),
    (
        "race",
        "All ways to a grade on the same hold-out, at a step's end. The best one with a model grades from then on; "
        "cheap ways are only there to be beaten.",
    ),
    ("confidence", "How likely the grade is right, or near enough where grade.tolerance allows that."),
    ("kappa", "Agreement beyond chance: 0 is guessing, 1 is perfect. Far misses weigh more."),
    ("to beat", "What needs no training: always the commonest or the middle grade, or a simple text classifier."),
    ("LR", "Learning rate: how far the weights move per optimizer step."),
    ("gradient norm", "How strongly the newest rows pull at the weights. Sudden peaks are a warning."),
    ("probe prompts", "A few hold-out prompts that are answered after every epoch, so you can read the difference."),
    ("blind round", "You choose the better of two texts without knowing which one is newer."),
    ("the rule", "The early-stop rule: it says continue while the hold-out loss or your ratings improve."),
    ("checkpoint", "The weights as they were saved. It is verified as it is saved; damaged ones are never used."),
    ("flips", "How often the grade that was read of a prompt changed from one epoch to the next."),
    ("off", "Disagreement of a row: how many grades the one read is from the one given; of training rows, a surprise."),
    ("surprise", "How unlikely the head of a race, fitted without a row, finds the grade that the row has."),
    ("carries loss", "The tokens that the model is trained to write: those of the answer, never those of the prompt."),
    ("run", "One execution of a step. Its journal has everything that this screen shows."),
)
