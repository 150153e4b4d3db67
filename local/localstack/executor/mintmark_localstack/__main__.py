"""`python -m mintmark_localstack`: LocalStack's own start, with a lifeline."""

from mintmark_localstack.lifeline import end_with_starter

end_with_starter()

from localstack.runtime.main import main  # after the lifeline: this takes seconds

main()
