import warnings

pytest_plugins = ["pytester"]
# Of cuda-bindings, about the stand-in for libnvJitLink.
warnings.filterwarnings("ignore", message="libnvJitLink", category=RuntimeWarning)
