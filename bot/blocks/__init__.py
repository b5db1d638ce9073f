"""What people see, as pure functions from our objects to Block Kit. No function here asks anything.

elements        the small pieces               dataset_report   what was attached, and is it good enough
start_form      the form; start_values reads it, start_plan shows plan and cost
run_card        one message a run, edited in place       rehome       buttons that repeat a run elsewhere
evaluation      was it worth it                endpoint         how to talk to the tuned model
home            the app's home tab             words            help, notes and problems
loss_curve      a PNG
"""
