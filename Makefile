# The commands of the project. Each sets up what it needs and is missing, and says so before it does.
.PHONY: demo test sim herd bench size package

demo: ; @scripts/demo
test: ; @scripts/test
sim: ; @scripts/sim $(SEEDS)
herd: ; @scripts/herd
bench: ; @scripts/bench
size: ; @scripts/size
package: ; @scripts/build-pkg
