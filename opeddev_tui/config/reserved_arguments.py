"""TrainingArguments that may not be passed through, each with its reason."""

from collections.abc import Mapping

# fields that the app sets itself, so that runs stay exact and resumable
OWNED_ARGUMENTS: Mapping[str, str] = {
    "output_dir": "each run has its own folder in the model store",
    "resume_from_checkpoint": "resuming is decided from the journal",
    "eval_strategy": "the hold-out is scored after every epoch",
    "eval_on_start": "epoch 0 is always scored",
    "save_strategy": "a checkpoint is saved after every epoch",
    "load_best_model_at_end": "the best checkpoint is kept and named, not loaded over the latest",
    "logging_nan_inf_filter": "a non-finite loss must be seen, not smoothed away",
    "logging_strategy": "set training.logging_steps",
    "disable_tqdm": "progress is shown by the app",
    "report_to": "events go to the journal",
    "max_steps": "set training.num_train_epochs and early_stop.max_extra_epochs",
    "fp16": "set model.precision",
    "bf16": "set model.precision",
    "fp16_full_eval": "set model.precision",
    "bf16_full_eval": "set model.precision",
    "remove_unused_columns": "the collator chooses the columns",
    "auto_find_batch_size": "after an out-of-memory error the app retries from a verified checkpoint",
    "train_sampling_strategy": "rows of like length already go together, reproducibly",
    "dataloader_drop_last": "every row is seen in every epoch",
    "ignore_data_skip": "a resumed epoch must not see rows twice",
    "restore_callback_states_from_checkpoint": "it would replace the app's callbacks",
    "enable_jit_checkpoint": "signal handlers cannot be installed in a worker thread",
    "push_to_hub": "nothing leaves this machine",
    "hub_token": "secrets do not belong in training arguments",
    "run_name": "runs are named by the app",
    "label_smoothing_factor": "it would change the loss that the hold-out is compared by",
    "group_by_length": "rows of like length already go together, reproducibly",
    "data_seed": "set training.seed",
    "fsdp": "set training.shard",
    "fsdp_config": "set training.shard",
    "use_cpu": "the device is chosen by the hardware",
}
