def c(n, **more): return {"schedule": "CosineAnnealingLR", "max_epochs": n, "fixed": n, "with_valid": False, **more}
P = {"batch_size": 2000, "weight_decay": 1e-4}
TRIALS = {}
TRIALS["gru price20 rank T5 P"] = trial(features="price:20:rank", params=c(5, **P), seeds=1)
TRIALS["gru a360-20 T5 P"] = trial(features="alpha360:20", params=c(5, **P), seeds=1)
TRIALS["gru price20 rank T5 800"] = trial(features="price:20:rank", params=c(5, weight_decay=1e-4), seeds=1)
TRIALS["gru a360-20 T5 800"] = trial(features="alpha360:20", params=c(5, weight_decay=1e-4), seeds=1)
TRIALS["gru a360-20 rank T5 800"] = trial(features="alpha360:20:rank", params=c(5, weight_decay=1e-4), seeds=1)
TRIALS["lgb B"] = trial(model="lightgbm", features="alpha158:rank", seeds=1)
TRIALS["alstm a360-20 T5 800"] = trial(model="alstm", features="alpha360:20", params=c(5, weight_decay=1e-4), seeds=1)
TRIALS["alstm price20 rank T5 800"] = trial(model="alstm", features="price:20:rank", params=c(5, weight_decay=1e-4), seeds=1)
